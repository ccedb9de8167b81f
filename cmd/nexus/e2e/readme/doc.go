// Package readme has no code: its tests run the commands of README.md as they stand there, so that they stay true.
package readme
