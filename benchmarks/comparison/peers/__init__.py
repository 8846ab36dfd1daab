"""What others do with the same file: ogr2ogr, SQL by hand, dlt."""
