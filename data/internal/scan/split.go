package scan

import (
	"fmt"
	"math"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
)

// splitter gives rows their part, one chunk after the other in the order of the files.
type splitter struct {
	by    string
	ratio []float64
	key   uint64
	left  [3]int64 // by order, time or exact counts: rows still to be given to each part
	cut   [2]cut   // by time: where validation and test begin
	row   int64
}

// cut is the end of a part in the order of time: earlier rows, and the first few of those at the time itself.
type cut struct {
	time float64
	ties int64
}

// needsCount reports whether the rows have to be counted before they can be split.
func needsCount(s data.Split) bool {
	return len(s.Counts) > 0 || len(s.Ratio) > 0 && s.By != data.SplitRandom
}

// newSplitter returns the splitter of rows rows, whose times are given if the split is by time.
func newSplitter(s data.Split, rows int64, times []float64) (*splitter, error) {
	if len(s.Ratio) == 0 && len(s.Counts) == 0 {
		return nil, nil
	}
	p := &splitter{by: s.By, ratio: s.Ratio, key: rng.Key(s.Seed, "split")}
	if !needsCount(s) {
		return p, nil
	}
	var sum int64
	if len(s.Counts) > 0 {
		for i, n := range s.Counts {
			p.left[i] = n
			sum += n
		}
		if sum != rows {
			return nil, fmt.Errorf("data: split.counts sum to %d, path has %d rows; make them equal", sum, rows)
		}
	} else {
		share := 0.0
		for i, r := range s.Ratio {
			share += r
			end := int64(math.Round(share * float64(rows)))
			if i == len(s.Ratio)-1 {
				end = rows
			}
			p.left[i] = end - sum
			sum = end
		}
	}
	p.ratio = nil
	if s.By == data.SplitTime {
		sorted := slices.Clone(times)
		slices.Sort(sorted)
		end := int64(0)
		for i := range p.cut {
			end += p.left[i]
			p.cut[i] = cutAt(sorted, end)
		}
	}
	return p, nil
}

// cutAt returns the cut with n rows before it.
func cutAt(sorted []float64, n int64) cut {
	if n >= int64(len(sorted)) {
		return cut{time: math.Inf(1)}
	}
	t := sorted[n]
	first, _ := slices.BinarySearch(sorted, t)
	return cut{time: t, ties: n - int64(first)}
}

// assign sets c.Part.
func (p *splitter) assign(c *Chunk) error {
	for i := range c.N {
		switch {
		case p.ratio != nil:
			c.Part[i] = p.random()
		case p.by == data.SplitRandom:
			c.Part[i] = p.exact()
		case p.by == data.SplitOrder:
			c.Part[i] = p.next()
		default:
			c.Part[i] = p.timed(c.time[i])
		}
		p.row++
	}
	return nil
}

// random draws a part by its share, for each row by itself: rows before it do not matter, only its number.
func (p *splitter) random() data.Part {
	u, sum := rng.Float(p.key, p.row), 0.0
	last := 0
	for i, r := range p.ratio {
		if r == 0 {
			continue
		}
		sum, last = sum+r, i
		if u < sum {
			break
		}
	}
	return data.Part(last)
}

// exact draws a part with probability proportional to the rows it still lacks, which makes every assignment with the
// exact counts equally likely (selection sampling, Knuth, The Art of Computer Programming 3.4.2, algorithm S).
func (p *splitter) exact() data.Part {
	u := int64(rng.Float(p.key, p.row) * float64(p.left[0]+p.left[1]+p.left[2]))
	for i := range p.left {
		if u < p.left[i] {
			p.left[i]--
			return data.Part(i)
		}
		u -= p.left[i]
	}
	return p.next()
}

// next fills one part after the other.
func (p *splitter) next() data.Part {
	for i := range p.left {
		if p.left[i] > 0 {
			p.left[i]--
			return data.Part(i)
		}
	}
	return data.TestPart // cannot be: the parts sum to the rows
}

// timed compares with the cuts; rows of equal time keep the order of the files.
func (p *splitter) timed(t float64) data.Part {
	part := data.TrainPart
	for i := range p.cut {
		k := &p.cut[i]
		if t < k.time {
			break
		}
		if t == k.time && k.ties > 0 {
			break
		}
		part = data.Part(i + 1)
	}
	for i := range p.cut { // the row used up a tie of every cut at its time
		if k := &p.cut[i]; t == k.time && k.ties > 0 {
			k.ties--
		}
	}
	return part
}
