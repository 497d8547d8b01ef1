package splice_test

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice"
	"github.com/splice-ml/splice/data/datatest"
)

// fuxiColumns are the columns of FuxiCTR's tiny_csv, of which those after the first two are ids.
var fuxiColumns = []string{
	"clk", "time_stamp", "userid", "adgroup_id", "pid", "cate_id", "campaign_id", "customer", "brand", "price", "cms_segid", "cms_group_id",
	"final_gender_code", "age_level", "pvalue_level", "shopping_level", "occupation", "new_user_class_level", "click_sequence",
}

// fuxiRows is how many rows each part of the demos' data has.
const fuxiRows = 100

// fuxiData writes data in the form of that of FuxiCTR's demos into the directory data.
func fuxiData(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"tiny_csv", "tiny_npz", "tiny_parquet", "tiny_seq", "tiny_emb"} {
		if err := os.MkdirAll(filepath.Join("data", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for k, part := range []string{"train", "valid", "test"} {
		r := rand.New(rand.NewPCG(7, uint64(k)))
		var csv strings.Builder
		csv.WriteString(strings.Join(fuxiColumns, ",") + "\n")
		var emb, numbers []map[string]any
		embColumns := parquet.Group{
			"feat1": parquet.Leaf(parquet.DoubleType), "feat2": parquet.Leaf(parquet.DoubleType), "label": parquet.Leaf(parquet.DoubleType),
			"feat3": parquet.List(parquet.Leaf(parquet.DoubleType)),
		}
		idColumns := parquet.Group{"clk": parquet.Leaf(parquet.DoubleType)}
		ids := map[string][]int64{}
		var label []float64
		var clicks []int32
		for i := range fuxiRows {
			y := r.IntN(2)
			row := map[string]any{"clk": float64(y)}
			label = append(label, float64(y))
			cells := []string{fmt.Sprint(y), fmt.Sprintf("2017-05-%02d %02d:15:00", 1+r.IntN(28), r.IntN(24))}
			for _, name := range fuxiColumns[2:] {
				id := int64(1 + r.IntN(20) + y)
				switch name {
				case "price":
					cells = append(cells, fmt.Sprintf("%.1f", math.Exp(4+r.NormFloat64())))
				case "pid":
					cells = append(cells, fmt.Sprintf("430548_%d", 1000+id))
				case "new_user_class_level":
					cells = append(cells, "")
				case "click_sequence":
					var list []string
					for range r.IntN(4) {
						list = append(list, fmt.Sprint(1+r.IntN(20)))
					}
					cells = append(cells, strings.Join(list, "^"))
				default:
					cells = append(cells, fmt.Sprint(id))
				}
				if name != "price" && name != "new_user_class_level" && name != "click_sequence" {
					ids[name] = append(ids[name], id)
					row[name], idColumns[name] = id, parquet.Int(64)
				}
			}
			csv.WriteString(strings.Join(cells, ",") + "\n")
			numbers = append(numbers, row)
			for j := range 5 {
				id := int32(1 + r.IntN(20))
				if j > i%5 {
					id = 0
				}
				clicks = append(clicks, id)
			}
			vector := make([]float64, 96)
			for j := range vector {
				vector[j] = r.NormFloat64() + float64(y)/4
			}
			emb = append(emb, map[string]any{"feat1": r.NormFloat64(), "feat2": r.Float64(), "feat3": vector, "label": float64(y)})
		}
		fuxiWrite(t, "data/tiny_csv/"+part+"_sample.csv", csv.String())
		datatest.WriteParquet(t, "data/tiny_emb/"+part+".parquet", embColumns, emb)
		datatest.WriteParquet(t, "data/tiny_parquet/"+part+".parquet", idColumns, numbers)
		arrays := []fuxiArray{{"clk", "<f8", fmt.Sprintf("%d,", fuxiRows), label}}
		for _, name := range fuxiColumns[2:] {
			if ids[name] != nil {
				arrays = append(arrays, fuxiArray{name, "<i8", fmt.Sprintf("%d,", fuxiRows), ids[name]})
			}
		}
		fuxiArchive(t, "data/tiny_npz/"+part+".npz", arrays)
		fuxiArchive(t, "data/tiny_seq/"+part+".npz", append(arrays, fuxiArray{"click_sequence", "<i4", fmt.Sprintf("%d, 5", fuxiRows), clicks}))
	}
	var keys []int32
	var values []float64
	for id := range int32(18) {
		keys = append(keys, id+1)
		for k := range 8 {
			values = append(values, math.Sin(float64(id)+float64(k)))
		}
	}
	fuxiArchive(t, "data/tiny_csv/userid_emb_dim8.npz", []fuxiArray{{"key", "<i4", "18,", keys}, {"value", "<f8", "18, 8", values}})
}

func fuxiWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fuxiArray is an array of an archive of NumPy.
type fuxiArray struct {
	name, descr, shape string
	values             any
}

func fuxiArchive(t *testing.T, path string, arrays []fuxiArray) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	for _, a := range arrays {
		w, err := z.Create(a.name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n", a.descr, a.shape)
		if _, err := io.WriteString(w, "\x93NUMPY\x01\x00"); err != nil {
			t.Fatal(err)
		}
		for _, v := range []any{uint16(len(head)), []byte(head), a.values} {
			if err := binary.Write(w, binary.LittleEndian, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

var (
	fuxiDemo = regexp.MustCompile("(?s)```yaml\n(# demo (\\d)\n.*?)```")
	fuxiSet  = regexp.MustCompile("`([^`]+)`")
)

// TestFuxiCTR runs the configs of docs/from-fuxictr.md, and each row of its table, on data in the form of that of FuxiCTR's demos.
func TestFuxiCTR(t *testing.T) {
	page, err := os.ReadFile("docs/from-fuxictr.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	fuxiData(t)
	log := slog.New(slog.DiscardHandler)
	demos := map[string]bool{}
	for _, m := range fuxiDemo.FindAllStringSubmatch(string(page), -1) {
		demos[m[2]] = true
		fuxiWrite(t, "demo"+m[2]+".yaml", m[1])
	}
	for demo := range 8 {
		name := fmt.Sprint(demo + 1)
		if !demos[name] {
			t.Fatalf("there is no demo %s", name)
		}
		t.Run("demo "+name, func(t *testing.T) {
			if name == "1" {
				d, err := splice.Prepare(t.Context(), "demo1.yaml", splice.Options{Log: log})
				if err != nil {
					t.Fatal(err)
				}
				if d.Train.Rows() != fuxiRows || d.Map.Table("userid") == nil {
					t.Errorf("%d rows", d.Train.Rows())
				}
				return
			}
			r, err := splice.Train(t.Context(), "demo"+name+".yaml", splice.Options{Run: "runs/demo" + name, Log: log})
			if err != nil {
				t.Fatal(err)
			}
			if auc := r.Test["auc"]; !(auc > .3 && auc <= 1) {
				t.Errorf("test metrics %v", r.Test)
			}
		})
	}
	_, table, _ := strings.Cut(string(page), "## The keys")
	table, _, _ = strings.Cut(table, "\n## ")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || len(cells) != 3 || strings.HasPrefix(cells[0], "---") || strings.Contains(cells[2], "such as") {
			continue
		}
		rows++
		t.Run(strings.TrimSpace(cells[0]), func(t *testing.T) {
			if demo, ok := strings.CutPrefix(strings.TrimSpace(cells[2]), "demo "); ok {
				if !demos[demo] {
					t.Errorf("there is no demo %q", demo)
				}
				return
			}
			var set []string
			for _, m := range fuxiSet.FindAllStringSubmatch(cells[2], -1) {
				set = append(set, m[1])
			}
			if len(set) == 0 {
				t.Fatalf("%q is neither a demo nor an override", cells[2])
			}
			if _, err := splice.Train(t.Context(), "demo4.yaml", splice.Options{Run: fmt.Sprintf("runs/row%d", rows), Set: set, Log: log}); err != nil {
				t.Errorf("--set %s: %v", strings.Join(set, " --set "), err)
			}
		})
	}
	if rows < 50 {
		t.Errorf("%d rows of the table were run", rows)
	}
}
