"""Planning: forecasts, the linear model, its solvers and the simple strategies. Pure: no I/O, no clock, no chance."""
