package set

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/internal/table"
)

// benchParse parses one block of text over and over.
func benchParse(b *testing.B, f scan.Format, features []data.MapFeature, text []byte) {
	p := table.NewPlan(features)
	p.MaxLine = 1 << 20
	head := text[:f.Record(text, true)]
	pr, header, err := f.Parser("bench", scan.TrimLine(head), p)
	if err != nil {
		b.Fatal(err)
	}
	if header {
		text = text[len(head):]
	}
	c := &scan.Chunk{Plan: p}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		c.Reset(&scan.Block{Src: &scan.FileRun{Path: "bench", Parser: pr}, Data: text, Line: 1})
		pr.Parse(c)
	}
	if c.Nbad > 0 || c.N == 0 {
		b.Fatalf("%d rows, %d bad: %v", c.N, c.Nbad, c.Bad)
	}
	b.ReportMetric(float64(c.N)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func benchFeatures(names []string, numbers int) []data.MapFeature {
	var fs []data.MapFeature
	for i, n := range names {
		if i < numbers {
			fs = append(fs, data.MapFeature{Name: n, Kind: data.Numeric, Transform: data.Raw})
		} else {
			fs = append(fs, data.MapFeature{Name: n, Table: n})
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
		d := CSV{Common: data.DefaultCommon(), Label: data.Names{"Label"}, Delimiter: ",", Quote: true}
		d.Columns = map[string]data.Column{"I*": data.NumericColumn{}, "C*": data.CategoricalColumn{}}
		benchParse(b, d.format(), benchFeatures(criteoNames[:], criteoNums), csv.Bytes())
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
