// Package set holds the data sets that come with Splice, each in a file of its name. Importing it registers them.
//
// A new one is a file: a struct whose exported fields are the keys of a data section, with data.Register in an init function and the
// methods of data.Dataset. Rows of features use table.Data with a format that splits a line into cells; texts use text.Data. Its
// test is a line in suite_test.go: small files and the same rows in memory, for datatest.Check.
package set
