package table

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// statistics are the flags for results that exist already: those of runs, or numbers from standard input.
type statistics struct {
	runs, against app.List
	valid         bool
	pairs         string
	in            io.Reader
}

func (s *statistics) flags(f *flag.FlagSet) {
	f.Var(&s.runs, "runs", "print the metrics of finished runs that a `pattern` such as 'runs/seeds/mrpc-*' names, "+
		"their means and standard deviations; may be given several times")
	f.Var(&s.against, "against", "with --runs: a `pattern` of as many runs, or JSON files, for differences that are paired in order")
	f.BoolVar(&s.valid, "valid", false, "with --runs: metrics of the validation rows where there are test rows, too")
	f.StringVar(&s.pairs, "pairs", "", "read pairs of times, two numbers a line, from standard input and print medians and ratios; "+
		"`names` are those of the columns, such as splice,torch")
}

// asked reports whether the command is about such results.
func (s *statistics) asked() bool { return len(s.runs)+len(s.against) > 0 || s.pairs != "" }

// print prints the statistics.
func (s *statistics) print(w io.Writer, markdown bool) error {
	if s.pairs != "" {
		return s.printPairs(w)
	}
	runs, err := samples(s.runs, s.valid)
	if err != nil {
		return err
	}
	against, err := samples(s.against, s.valid)
	if err != nil {
		return err
	}
	if len(runs) == 0 || len(against) > 0 && len(against) != len(runs) {
		return fmt.Errorf("table: %d runs against %d: give as many --against as --runs", len(runs), len(against))
	}
	ranked, err := oneProtocol(slices.Concat(runs, against))
	if err != nil {
		return err
	}
	layout := report.Align
	if markdown {
		layout = report.Markdown
	}
	if ranked != "" {
		fmt.Fprintf(w, "ranked are %s\n", ranked)
	}
	for _, list := range [][]*sample{runs, against} {
		if len(list) > 0 {
			fmt.Fprintln(w, layout(overview(list)))
		}
	}
	if len(against) == 0 {
		return nil
	}
	head, body, err := differences(runs, against)
	if err == nil {
		_, err = fmt.Fprintln(w, layout(head, body))
	}
	return err
}

// oneProtocol returns what the metrics of runs rank, as far as it is told, and an error if it differs.
func oneProtocol(runs []*sample) (string, error) {
	var first *sample
	for _, x := range runs {
		switch {
		case x.ranked == "":
		case first == nil:
			first = x
		case x.ranked != first.ranked:
			return "", run.BadInput(fmt.Errorf("table: the metrics of %s rank %s, those of %s rank %s: they have the same names and are not "+
				"comparable; make a table of each", first.name, first.ranked, x.name, x.ranked))
		}
	}
	if first == nil {
		return "", nil
	}
	return first.ranked, nil
}

// sample is the result of a run.
type sample struct {
	name   string
	values map[string]float64 // metrics, and seconds
	ranked string             // what the metrics rank; empty if that is not told
}

// seconds is the name of the time among a sample's values.
const seconds = "seconds"

// samples reads the results that patterns name, those of one pattern in the order of the numbers in their names.
func samples(patterns []string, valid bool) ([]*sample, error) {
	var out []*sample
	var errs []error
	for _, p := range patterns {
		paths, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("table: %s: %w", p, err)
		}
		paths = slices.DeleteFunc(paths, func(path string) bool { return filepath.Ext(path) == "."+seconds })
		if len(paths) == 0 {
			errs = append(errs, fmt.Errorf("table: %s: there is nothing of that name", p))
		}
		slices.SortFunc(paths, func(a, b string) int { return cmp.Or(cmp.Compare(seedOf(a), seedOf(b)), cmp.Compare(a, b)) })
		for _, path := range paths {
			x, err := read(path, valid)
			if err != nil {
				errs = append(errs, fmt.Errorf("table: %s: %w", path, err))
				continue
			}
			out = append(out, x)
		}
	}
	return out, errors.Join(errs...)
}

var digits = regexp.MustCompile(`[0-9]+`)

// seedOf returns the last number in a name, such as a seed, or 0 if there is none.
func seedOf(path string) int {
	all := digits.FindAllString(filepath.Base(path), -1)
	if len(all) == 0 {
		return 0
	}
	n, err := strconv.Atoi(all[len(all)-1])
	if err != nil {
		return 0
	}
	return n
}

// read reads a run's directory, or a file whose last line is a JSON object of numbers. A file PATH.seconds beside it says how long
// all of it took.
func read(path string, valid bool) (*sample, error) {
	x := &sample{name: filepath.Base(path)}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		err = x.readRun(filepath.Join(path, run.ResultFile), valid)
	} else {
		err = x.readFile(path)
	}
	if err != nil {
		return nil, err
	}
	if b, err := bound.ReadFile(path+"."+seconds, bound.Line); err == nil {
		if x.values[seconds], err = strconv.ParseFloat(strings.TrimSpace(string(b)), 64); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (x *sample) readRun(path string, valid bool) error {
	b, err := bound.ReadFile(path, bound.JSON)
	if err != nil {
		return err
	}
	var r struct {
		Valid, Test run.Metrics // NaN: undefined
		Train       struct{ Seconds *float64 }
		Protocol    string
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	from := r.Test
	if valid || len(from) == 0 {
		from = r.Valid
	}
	x.values, x.ranked = map[string]float64{}, r.Protocol
	maps.Copy(x.values, from)
	if r.Train.Seconds != nil {
		x.values[seconds] = *r.Train.Seconds
	}
	return nil
}

func (x *sample) readFile(path string) error {
	b, err := bound.ReadFile(path, bound.JSON)
	if err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	var all map[string]any
	if err := json.Unmarshal(lines[len(lines)-1], &all); err != nil {
		return fmt.Errorf("its last line is no JSON object: %w", err)
	}
	x.values = map[string]float64{}
	for name, v := range all {
		if n, ok := v.(float64); ok && name != "seed" {
			x.values[name] = n
		}
		if s, ok := v.(string); ok && name == "protocol" {
			x.ranked = s
		}
	}
	return nil
}

// names returns the values that all samples have, by name, the time last.
func names(lists ...[]*sample) []string {
	have := map[string]int{}
	n := 0
	for _, list := range lists {
		for _, x := range list {
			n++
			for name := range x.values {
				have[name]++
			}
		}
	}
	maps.DeleteFunc(have, func(_ string, count int) bool { return count < n })
	_, timed := have[seconds]
	delete(have, seconds)
	out := slices.Sorted(maps.Keys(have))
	if timed {
		out = append(out, seconds)
	}
	return out
}

// column returns the samples' values of a name.
func column(list []*sample, name string) []float64 {
	var out []float64
	for _, x := range list {
		out = append(out, x.values[name])
	}
	return out
}

// overview returns a table of the samples, with their means, standard deviations and medians.
func overview(list []*sample) (head []string, body [][]string) {
	head = []string{"run"}
	for _, x := range list {
		body = append(body, []string{x.name})
	}
	at := len(body)
	body = append(body, []string{"mean"}, []string{"sd"}, []string{"median"})
	for _, name := range names(list) {
		head = append(head, name)
		values := column(list, name)
		for i, v := range values {
			body[i] = append(body[i], decimals(name, v))
		}
		e := report.Mean(values)
		for i, v := range []float64{float64(e.Mean), float64(e.SD), median(values)} {
			cell := decimals(name, v)
			if v != v && finite(e.Mean) {
				cell = "-" // one run has no deviation
			}
			body[at+i] = append(body[at+i], cell)
		}
	}
	return head, body
}

// differences returns a table of the differences between two lists, paired in their order.
func differences(runs, against []*sample) (head []string, body [][]string, err error) {
	head = []string{"paired", "difference, 95 % interval", "median of ratios"}
	for _, name := range names(runs, against) {
		a, b := column(runs, name), column(against, name)
		e, err := report.Paired(a, b)
		if err != nil {
			return nil, nil, err
		}
		ratios := make([]float64, len(a))
		for i := range a {
			ratios[i] = b[i] / a[i]
		}
		d := &interval{e.Mean, report.Float(e.Low()), report.Float(e.High())}
		format := "%+.5f"
		if name == seconds {
			format = "%+.1f"
		}
		ratio := "-"
		if m := median(ratios); finite(report.Float(m)) {
			ratio = fmt.Sprintf("%.2f", m)
		}
		difference := d.text(format, 1, "")
		if !finite(d.Mean) {
			difference = metric.Format(float64(d.Mean), 5)
		}
		body = append(body, []string{name, difference, ratio})
	}
	return head, body, nil
}

func decimals(name string, v float64) string {
	if name == seconds {
		return metric.Format(v, 1)
	}
	return metric.Format(v, 5)
}

// median returns the middle value, or the mean of the two in the middle. It is NaN if there are no values, or one is NaN.
func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	n := len(x)
	if n == 0 || x[0] != x[0] { // NaN sorts first
		return float64(report.Mean(x).Mean)
	}
	return (x[(n-1)/2] + x[n/2]) / 2
}

// printPairs prints each pair of times as it comes, and their medians.
func (s *statistics) printPairs(w io.Writer) error {
	first, second, ok := strings.Cut(s.pairs, ",")
	if !ok {
		return fmt.Errorf("table: --pairs %s: give the names of two columns, such as splice,torch", s.pairs)
	}
	var a, b, ratios []float64
	lines := bufio.NewScanner(s.in)
	for lines.Scan() {
		var x, y float64
		if n, err := fmt.Sscan(lines.Text(), &x, &y); n != 2 || x <= 0 || y <= 0 {
			return fmt.Errorf("table: line %d is %q, want two numbers above 0: %w", len(a)+1, lines.Text(), cmp.Or(err, io.ErrUnexpectedEOF))
		}
		a, b, ratios = append(a, x), append(b, y), append(ratios, y/x)
		fmt.Fprintf(w, "pair %d: %s %.1f, %s %.1f, ratio %.2f\n", len(a), first, x, second, y, y/x)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	if len(a) == 0 {
		return errors.New("table: standard input has no pair")
	}
	_, err := fmt.Fprintf(w, "medians of %d pairs: %s %.1f, %s %.1f, %s/%s %.2f\n", len(a), first, median(a), second, median(b), second, first,
		median(ratios))
	return err
}
