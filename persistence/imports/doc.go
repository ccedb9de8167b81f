// Package imports takes over what the office brings in files: a term's people, courses and enrolments as CSV, or a OneRoster 1.1 bundle.
//
//	file --scanner--> records --table--> rows, faults --COPY--> staging tables --SQL--> faults, or the change as a whole
//	RUNNING: READING, CHECKING, APPLYING --> DONE, or FAILED, and nothing has changed
//
// A file is read as it is copied, twice, once to be counted: how large it is makes no difference to the memory that it takes. Whatever is
// wrong is found in one go, by line and column, and any fault keeps the whole file out. The run is carried on by the node that
// took the file, which says several times a second that it lives.
package imports
