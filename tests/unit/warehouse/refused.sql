-- What a query must not be able to do, a statement a line. {home} is the home of the warehouse.
-- The file that it reads by tables it may also read as bytes: DuckDB counts it among the allowed paths.
-- by the connection: files
select * from read_text('/etc/passwd')
select * from read_blob('{home}/warehouse/build/writer.lock')
select * from read_csv('/etc/passwd')
select * from read_csv_auto('/etc/passwd')
select * from read_json('{home}/warehouse/c360.duckdb.json')
select * from read_parquet('{home}/lake/ops/runs/*.parquet')
select * from parquet_metadata('{home}/lake/ops/runs/x.parquet')
select * from sniff_csv('/etc/passwd')
select * from glob('/etc/*')
select * from '/etc/hosts.csv'
select * from '{home}/warehouse/c360.duckdb.json'
with stolen as (select content from read_text('/etc/passwd')) select * from stolen
select (select content from read_text('/etc/passwd'))
select * from read_csv('https://example.com/x.csv')
select * from read_parquet('s3://bucket/x.parquet')
select * from delta_scan('{home}/lake/ops/runs')
explain analyze copy (select 1) to '{home}/stolen.csv'
-- by the connection: writing
copy marts.dim_profiles to '{home}/stolen.parquet' (format parquet)
copy (select 1) to '{home}/stolen.csv'
copy marts.dim_profiles from '/etc/passwd'
export database '{home}/stolen'
import database '{home}/stolen'
attach '{home}/warehouse/other.duckdb' as other
attach ':memory:' as other
attach 'https://example.com/x.duckdb' as other
delete from marts.dim_profiles
update marts.dim_profiles set build_number = 0
insert into marts.dim_profiles select * from marts.dim_profiles
create table marts.mine as select 1
create view marts.mine as select 1
drop table marts.dim_profiles
alter table marts.dim_profiles rename to mine
comment on table marts.dim_profiles is 'mine'
truncate marts.dim_profiles
create persistent secret s (type s3)
-- by the connection: settings and code
install httpfs
install httpfs from 'https://example.com'
load delta
load '{home}/x.duckdb_extension'
set enable_external_access = true
set lock_configuration = false
set memory_limit = '100GB'
set threads = 64
set temp_directory = '/tmp'
set global extension_directory = '/tmp'
reset memory_limit
pragma memory_limit = '100GB'
pragma threads = 64
-- by the door: they would change this connection only, or more than one statement
create temp table mine as select 1
create temp macro mine() as 1
prepare mine as select 1
checkpoint
vacuum
begin
pragma enable_profiling
call enable_logging()
call enable_logging(storage = 'file', storage_path = '{home}/stolen')
select * from enable_logging(storage = 'file', storage_path = '{home}/stolen')
select * from "Enable_Logging"(storage = 'file', storage_path = '{home}/stolen')
select * from query('select * from enable_' || 'logging(storage = ''file'', storage_path = ''{home}/stolen'')')
explain analyze select * from query('select * from enable_' || 'logging(storage = ''file'', storage_path = ''{home}/stolen'')')
explain (format json) with x as (from system.main.query('select 1')) select (select count(*) from x)
/* a remark */ explain select * from query('select 1')
select * from query_table('marts.kpi_' || 'daily')
select * from json_execute_serialized_sql(json_serialize_sql('from enable_' || 'logging(storage = ''file'')'))
select 1; select 2
select 1; delete from marts.dim_profiles
select 1; copy (select 1) to '{home}/stolen.csv'
