package data

import (
	"bytes"
	"fmt"
	"testing"
)

// benchParse parses one block of text over and over.
func benchParse(b *testing.B, f format, features []MapFeature, text []byte) {
	p := newPlan(features)
	p.maxLine = 1 << 20
	head := text[:f.record(text, true)]
	pr, header, err := f.parser("bench", trimLine(head), p)
	if err != nil {
		b.Fatal(err)
	}
	if header {
		text = text[len(head):]
	}
	c := &chunk{plan: p}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		c.reset(&block{src: &fileRun{path: "bench", parser: pr}, data: text, line: 1})
		pr.parse(c)
	}
	if c.nbad > 0 || c.n == 0 {
		b.Fatalf("%d rows, %d bad: %v", c.n, c.nbad, c.bad)
	}
	b.ReportMetric(float64(c.n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func benchFeatures(names []string, numbers int) []MapFeature {
	var fs []MapFeature
	for i, n := range names {
		if i < numbers {
			fs = append(fs, MapFeature{Name: n, Kind: Numeric, Transform: Raw})
		} else {
			fs = append(fs, MapFeature{Name: n, Table: n})
		}
	}
	return fs
}

func BenchmarkParse(b *testing.B) {
	var row, csv bytes.Buffer
	row.WriteString("0\t1\t1\t5\t0\t1382\t4\t15\t2\t181\t1\t2\t\t2\t68fd1e64\t80e26c9b\tfb936136\t7b4723c4\t25c83c98\t7e0ccccf\tde7995b8\t1f89b562\ta73ee510\ta8cd5504\tb2cb9c98\t37c9c164\t2824a5f6\t1adce6ef\t8ba8b39a\t891b62e7\te5ba7672\tf54016b9\t21ddcdc9\tb1252a9d\t07b5194c\t\t3a171ecb\tc5c50484\te8b83407\t9727dd16\n")
	csv.WriteString("Label")
	for _, n := range criteoNames {
		fmt.Fprintf(&csv, ",%s", n)
	}
	csv.WriteByte('\n')
	csv.Write(bytes.Repeat(bytes.ReplaceAll(row.Bytes(), []byte("\t"), []byte(",")), 4000))
	b.Run("criteo", func(b *testing.B) {
		benchParse(b, criteoFormat{}, benchFeatures(criteoNames[:], criteoNums), bytes.Repeat(row.Bytes(), 4000))
	})
	b.Run("csv", func(b *testing.B) {
		d := CSV{Common: DefaultCommon(), Label: "Label", Delimiter: ",", Quote: true}
		d.Columns = map[string]Column{"I*": NumericColumn{}, "C*": CategoricalColumn{}}
		benchParse(b, csvFormat{d}, benchFeatures(criteoNames[:], criteoNums), csv.Bytes())
	})
	b.Run("libfm", func(b *testing.B) {
		line := []byte("-1 204:1 4798:1 5041:1 5046:1 5053:1 5055:1 5058:1 5060:1 5073:1 5183:1\n")
		var names []string
		for i := range 10 {
			names = append(names, fmt.Sprintf("f%d", i+1))
		}
		benchParse(b, libfmFormat{}, benchFeatures(names, 0), bytes.Repeat(line, 10000))
	})
}
