"""Workbooks with cells far away, and parts far too large."""

from __future__ import annotations

from tests.hostile import bombs
from tests.hostile.bombs import ROW, cell, zipped
from tests.hostile.traps import EMPTY, TIMEOUT, TOO_BIG, trap
from tests.support.spreadsheet_files import xlsb_file

_SHEET_CODES = (TOO_BIG, 2008, 2004, TIMEOUT)
SHEETS = {
    "a cell in the last corner": trap(
        "a.xlsx",
        lambda: bombs.workbook(
            bombs.worksheet(ROW + f'<row r="1048576">{cell("XFD1048576")}</row>')
        ),
        *_SHEET_CODES,
    ),
    "a cell beyond the last corner": trap(
        "a.xlsx",
        lambda: bombs.workbook(
            bombs.worksheet(ROW + f'<row r="9999999">{cell("ZZZ9999999")}</row>')
        ),
        *_SHEET_CODES,
    ),
    "a cell whose row is no row's": trap(
        "a.xlsx",
        lambda: bombs.workbook(
            bombs.worksheet(f'<row r="1">{cell("A1")}</row><row>{cell("XFD1048576")}</row>')
        ),
        *_SHEET_CODES,
        None,
    ),
    "a far cell in an attribute of another order": trap(
        "a.xlsx",
        lambda: bombs.workbook(
            bombs.worksheet(
                f'{ROW}<row spans="1:2" r="1048576"><c t="n" r="XFD1048576"><v>1</v></c></row>'
            )
        ),
        *_SHEET_CODES,
    ),
    "a far cell in single quotes": trap(
        "a.xlsx",
        lambda: bombs.workbook(
            bombs.worksheet(f"{ROW}<row r='1048576'><c r='XFD1048576'><v>1</v></c></row>")
        ),
        *_SHEET_CODES,
    ),
    "a dimension that lies": trap(
        "a.xlsx",
        lambda: bombs.workbook(
            bombs.worksheet(ROW).replace(
                "<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>'
            )
        ),
        None,
    ),
    "shared texts of 1.5 GB": trap(
        "a.xlsx",
        lambda: bombs.workbook(
            bombs.worksheet(f'<row r="1">{cell("A1", "0", "s")}</row>'),
            shared="<sst>" + f"<si><t>{'x' * 1_000_000}</t></si>" * 1_500 + "</sst>",
        ),
        TOO_BIG,
        2008,
    ),
    "a million styles": trap(
        "a.xlsx",
        lambda: bombs.workbook(
            bombs.worksheet(ROW),
            styles="<styleSheet><cellXfs>"
            + '<xf numFmtId="14"/>' * 1_000_000
            + "</cellXfs></styleSheet>",
        ),
        None,
        *_SHEET_CODES,
    ),
    "a shared text that is not there": trap(
        "a.xlsx",
        lambda: bombs.workbook(
            bombs.worksheet(f'<row r="1">{cell("A1", "4294967295", "s")}</row>')
        ),
        2008,
        EMPTY,
        None,
    ),
    "a workbook's index of 20 MB": trap(
        "a.xlsx",
        lambda: bombs.workbook(bombs.worksheet(ROW), more="<!--" + "x" * 20_000_000 + "-->"),
        *_SHEET_CODES,
    ),
    "a part outside the archive": trap(
        "a.xlsx",
        lambda: zipped(
            {
                "[Content_Types].xml": "<Types/>",
                "xl/workbook.xml": "<workbook xmlns:r='http://schemas.openxmlformats.org/"
                "officeDocument/2006/relationships'><sheets><sheet name='S' r:id='r1'/></sheets>"
                "</workbook>",
                "xl/_rels/workbook.xml.rels": "<Relationships><Relationship Id='r1' "
                "Target='../../../../../../../{secret}'/></Relationships>",
            }
        ),
        2008,
        EMPTY,
    ),
    "an open document's cell repeated a billion times": trap(
        "a.ods",
        lambda: bombs.ods_of(
            "<table:table-row table:number-rows-repeated='1000000'><table:table-cell "
            "table:number-columns-repeated='1000' office:value-type='string'><text:p>a</text:p>"
            "</table:table-cell></table:table-row>"
        ),
        *_SHEET_CODES,
    ),
    "an open document's number beyond all numbers": trap(
        "a.ods",
        lambda: bombs.ods_of(
            f"<table:table-row table:number-rows-repeated='{'9' * 4_000}'><table:table-cell "
            "office:value-type='string'><text:p>a</text:p></table:table-cell></table:table-row>"
        ),
        *_SHEET_CODES,
    ),
    "an open document's negative repetition": trap(
        "a.ods",
        lambda: bombs.ods_of(
            "<table:table-row table:number-rows-repeated='-5'><table:table-cell "
            "office:value-type='string'><text:p>a</text:p></table:table-cell></table:table-row>"
        ),
        2008,
        EMPTY,
        None,
    ),
    "a binary workbook's far cell": trap(
        "a.xlsb",
        lambda: xlsb_file({0: {0: "a"}, 1_048_575: {16_383: 1.0}}),
        *_SHEET_CODES,
    ),
}
