"""Who is who among records of people: exact rules, and Splink's probabilities where no rule is exact enough."""
