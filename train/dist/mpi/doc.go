// Package mpi is the engine of package dist that calls an MPI library, which is loaded at run time, without cgo. It is built with the tag mpi
// on Linux alone: a program that has it needs the C library's loader, where others are static.
package mpi
