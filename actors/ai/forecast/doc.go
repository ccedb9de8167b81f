// Package forecast says how full a place will be, in slots of a quarter of an hour, and how sure that is.
//
//	Learn, slot after slot --> profiles: what is usual at this time of the week, lately and for long
//	                       --> residuals: how the last hours differed from what is usual
//	Forecast, h slots ahead --> a weighted sum of both; the weights follow the errors that such forecasts made
//	                        --> a band that four in five values have fallen into
//
// Everything is learnt as it comes, by the same code in a back-test and in service, and a value is never used before its time. It is pure:
// no clock, no randomness, no I/O.
package forecast
