"""What DAG files may use: assets, the command operator, retry rules. The only part of jobs that imports airflow."""
