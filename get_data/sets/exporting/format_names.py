"""Formats that can be exported: the module in this folder that writes each."""

FORMATS = {"lerobot": "lerobot", "tub": "tub", "webdataset": "webdataset", "csv": "csv_table"}
