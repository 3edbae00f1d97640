"""What was set aside: look at it, repair it by rule, feed it again. The bronze payload stays as it came."""
