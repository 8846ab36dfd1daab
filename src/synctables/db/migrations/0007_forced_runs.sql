-- A run that somebody asked for heals edits by hand although the source did not change.
ALTER TABLE runs ADD COLUMN is_forced boolean NOT NULL DEFAULT false;
