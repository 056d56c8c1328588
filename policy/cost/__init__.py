"""What usage costs, by a price book.

usage      what was used in an hour, and the quantities that are priced
capacity   what usage needs of a cluster: cores, memory, disk
questions  what Prometheus is asked about the past, by product and storage
backfill   which days are due, hours from what Prometheus answers, and what is missing
prices     which price list holds on which day
pricing    hours of usage, priced by component and by method
budgets    what may be spent, by whom, in which period
standing   how far budgets are used
outlook    what days to come will cost; paths, the ways they may go; forecast, what periods come to
alerts     what is told, once; burning, how fast budgets are spent and whose hour is unusual
enforcement  what a budget that is used up does to limits
savings    what could be saved, in three figures
periods    days, weeks, months, years and windows in a time zone
"""
