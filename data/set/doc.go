// Package set holds the data sets that come with Splice, each in a file of its name. Importing it registers them.
//
// To add one, write a file with a struct whose exported fields are the keys of a data section. It has the methods of data.Dataset, and
// an init function that calls data.Register. Rows of features use table.Data with a format that splits a line into cells. Texts use
// text.Data. Its test is a line in suite_test.go, which gives datatest.Check small files and the same rows in memory.
package set
