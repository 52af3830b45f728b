"""large.py - reads a sheet as Python's csv module does, and counts its rows"""
import csv
import sys

with open(sys.argv[1], newline="", encoding="utf-8") as f:
    print(sum(1 for _ in csv.reader(f)) - 1)
