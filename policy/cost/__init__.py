"""What usage costs, by a price book.

usage      what was used in an hour, and the quantities that are priced
capacity   what usage needs of a cluster: cores, memory, disk
questions  what Prometheus is asked about the past, by product and storage
backfill   which days are due, hours from what Prometheus answers, and what is missing
prices     which price list holds on which day
pricing    hours of usage, priced by component and by method
periods    days, weeks, months, years and windows in a time zone
"""
