"""The sections of the HTML report, each from what was measured; `report_page.py` puts them on."""
