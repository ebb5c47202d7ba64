-- What a database holds, remembered in a schema of its own, and how it is put back.
CREATE SCHEMA testkit;

-- Tables that hold rows have a copy; the columns are those that can be written.
CREATE TABLE testkit.tables AS
SELECT c.oid::regclass AS name, 'copy_' || c.oid AS copy,
       (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns,
       false AS filled
FROM pg_class c
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.relnamespace <> 'testkit'::regnamespace
  AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema$)';

CREATE TABLE testkit.sequences (name regclass, last bigint, called boolean);

DO $$
DECLARE it record;
BEGIN
    FOR it IN SELECT * FROM testkit.tables LOOP
        EXECUTE format('CREATE TABLE testkit.%I AS TABLE %s', it.copy, it.name);
        EXECUTE format('UPDATE testkit.tables SET filled = EXISTS (SELECT FROM testkit.%I) WHERE name = %L::regclass',
                       it.copy, it.name);
    END LOOP;
    FOR it IN SELECT oid::regclass AS name FROM pg_class WHERE relkind = 'S' LOOP
        EXECUTE format('INSERT INTO testkit.sequences SELECT %L, last_value, is_called FROM %s', it.name, it.name);
    END LOOP;
END $$;

-- Whatever triggers and foreign keys say. Emptying a small table by DELETE takes no new files, of
-- which each table, index and TOAST table would have one; a large one would leave its dead rows.
CREATE FUNCTION testkit.put_back() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS $$
DECLARE it record;
BEGIN
    IF EXISTS (SELECT FROM testkit.tables WHERE pg_relation_size(name) > 1048576) THEN
        EXECUTE (SELECT 'TRUNCATE ' || string_agg(name::text, ', ') FROM testkit.tables);
    END IF;
    FOR it IN SELECT * FROM testkit.tables LOOP
        EXECUTE format('DELETE FROM %s', it.name);
        IF it.filled THEN
            EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM testkit.%I',
                           it.name, it.columns, it.columns, it.copy);
        END IF;
    END LOOP;
    PERFORM setval(name, last, called) FROM testkit.sequences;
END $$;
