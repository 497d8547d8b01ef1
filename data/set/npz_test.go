package set_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/datatest"
)

// Arrays of NumPy are read as the rows of the same CSV, and a part of a file is an error.
func TestNpz(t *testing.T) {
	file := filepath.Join("..", "npy", "testdata", "rows.npz")
	const columns = `label: label, columns: {user: categorical, price: numeric, clicks: {type: sequence, max_len: 5}, half: numeric, vector: ignore, flag: categorical,
		big: categorical, small: {type: numeric, transform: standardize}, name: categorical}`
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, "{type: csv, path: "+file+", "+columns+"}"), o)
	text := datatest.WriteFile(t, "rows.csv", `label,user,price,half,clicks,vector,flag,big,small,name
1,u1,0.5,1.5,3|7,0.25|0,1,9223372036854775808,-1,x
0,"a ""b"", c",,-0.25,,1|-2,0,1,127,yz
1,été,-0.001,6.097555e-05,1|2,3|4.5,1,0,-128,
`)
	same := datatest.Open(t, datatest.Section(t, "{type: csv, path: "+text+", "+columns+"}"), o)
	if s.Map.Digest() != same.Map.Digest() {
		t.Errorf("feature maps differ: %v and %v", s.Map.Features, same.Map.Features)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := datatest.WriteFile(t, "cut.npz", string(b[:len(b)/2]))
	if _, err := datatest.Section(t, "{type: csv, path: "+cut+", "+columns+"}").Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "cut.npz: is no archive of arrays") {
		t.Errorf("half a file: %v", err)
	}
}
