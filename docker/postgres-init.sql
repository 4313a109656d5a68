-- Run by psql on the first start. The service is an ordinary role: it owns its own database and nothing else.
\getenv password POLICY_ENGINE_DATABASE_PASSWORD
CREATE ROLE policy_engine LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
CREATE DATABASE policy_engine OWNER policy_engine;
REVOKE ALL ON DATABASE policy_engine FROM PUBLIC;
