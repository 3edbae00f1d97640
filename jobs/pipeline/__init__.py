"""The main job: drives the DAGs one after the other, starts Airflow on loopback, prints the summary."""
