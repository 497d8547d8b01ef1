package parquet

import (
	"errors"
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/splice-ml/splice/data"
)

// Column is a column with values. Those of structures are named by their path, such as user.age. The elements of lists have the list's
// name.
type Column struct {
	Name string
	List bool   // a row has a list of values
	Why  string // why it cannot be read; empty if it can

	kind     kind
	physical format.Type
	width    int // bytes of a value; 0 for those of varying length
	scale    int // of decimals; digits of a second of times
	zoned    bool
	leaf     int // its place among the columns with values
	maxRep   int
	maxDef   int
	listDef  int // the definition level from which on a list has an element
}

// kind is what values mean.
type kind int

const (
	kindText kind = iota
	kindInt
	kindUint
	kindFloat
	kindHalf
	kindBool
	kindDate
	kindTime
	kindTimestamp
	kindLegacyTimestamp // int96
	kindDecimal
	kindUUID
)

// IsTime reports whether the values are dates or times, which are no numbers.
func (c *Column) IsTime() bool {
	return c.kind == kindDate || c.kind == kindTimestamp || c.kind == kindLegacyTimestamp
}

// IsText reports whether the values are texts.
func (c *Column) IsText() bool { return c.kind == kindText }

// Kind returns what the cells of a column are.
func (p *File) Kind(name string) data.CellKind {
	for i := range p.Columns {
		c := &p.Columns[i]
		if c.Name != name || c.List {
			continue
		}
		switch {
		case c.kind == kindInt || c.kind == kindUint && c.width == 4:
			return data.IntegerCells
		case c.kind == kindFloat || c.kind == kindHalf:
			return data.NumberCells
		case c.kind == kindBool:
			return data.BooleanCells
		}
	}
	return data.TextCells
}

// walk goes through the tree of a schema, which is listed in depth-first order.
type walk struct {
	schema []format.SchemaElement
	at     int
	list   []Column
	leaf   int
}

// place is where in the tree a node is.
type place struct {
	path          []string
	rep, def      int
	listDef       int
	depth         int
	insideOfList  bool // the node is the repeated one of a list
	elementOfList bool // the node is its element
}

func columnsOf(schema []format.SchemaElement) ([]Column, error) {
	if len(schema) == 0 {
		return nil, errors.New("its schema is empty; write the file again")
	}
	w := &walk{schema: schema, at: 1}
	for range schema[0].NumChildren.V {
		if err := w.node(place{}); err != nil {
			return nil, err
		}
	}
	if w.at != len(schema) {
		return nil, errSchema
	}
	if len(w.list) == 0 {
		return nil, errors.New("has no columns")
	}
	return w.list, nil
}

var errSchema = errors.New("its schema is no tree; write the file again")

// node reads a node with what is below it.
func (w *walk) node(p place) error {
	if w.at >= len(w.schema) || p.depth > deepest {
		return errSchema
	}
	e := &w.schema[w.at]
	w.at++
	p.depth++
	if !p.insideOfList && !p.elementOfList {
		p.path = append(p.path[:len(p.path):len(p.path)], e.Name)
	}
	switch e.RepetitionType.V {
	case format.Optional:
		p.def++
	case format.Repeated:
		p.rep++
		p.def++
		p.listDef = p.def
	}
	if e.Type.Valid {
		return w.value(e, p)
	}
	children := int(e.NumChildren.V)
	inside := p.insideOfList
	p.insideOfList, p.elementOfList = false, false
	switch {
	case children <= 0:
		return errSchema
	case isList(e) && children == 1 && w.at < len(w.schema) && w.schema[w.at].RepetitionType.V == format.Repeated:
		p.insideOfList = true
	case inside && children == 1 && e.Name != "array" && !strings.HasSuffix(e.Name, "_tuple"):
		p.elementOfList = true // parquet-format, "LogicalTypes.md", rules for lists of two levels
	}
	for range children {
		if err := w.node(p); err != nil {
			return err
		}
	}
	return nil
}

// isList reports whether a group is annotated as a list.
func isList(e *format.SchemaElement) bool {
	if _, ok := e.LogicalType.Value.(*format.ListType); ok {
		return true
	}
	return e.ConvertedType.Valid && e.ConvertedType.V == deprecated.List
}

// value reads a node that has values.
func (w *walk) value(e *format.SchemaElement, p place) error {
	c := Column{
		Name: strings.Join(p.path, "."), List: p.rep > 0, leaf: w.leaf,
		physical: e.Type.V, maxRep: p.rep, maxDef: p.def, listDef: p.listDef,
	}
	w.leaf++
	if p.rep > 1 {
		c.Why = "has lists of lists, which no feature takes; flatten them, or ignore it"
	}
	switch c.physical {
	case format.Boolean:
		c.kind = kindBool
	case format.Int32, format.Int64:
		c.kind, c.width = kindInt, 4
		if c.physical == format.Int64 {
			c.width = 8
		}
	case format.Int96:
		c.kind, c.width, c.scale = kindLegacyTimestamp, 12, 9
	case format.Float:
		c.kind, c.width = kindFloat, 4
	case format.Double:
		c.kind, c.width = kindFloat, 8
	case format.ByteArray:
	case format.FixedLenByteArray:
		c.width = int(e.TypeLength.V)
		if c.width <= 0 || c.width > longestFixed {
			return fmt.Errorf("column %s has values of %d bytes; write the file again", c.Name, c.width)
		}
	default:
		c.Why = fmt.Sprintf("has values of the unknown type %d; write it as another one, or ignore it", c.physical)
	}
	c.logical(e)
	w.list = append(w.list, c)
	return nil
}

// longestFixed is more than values of fixed length have.
const longestFixed = 1 << 20

// logical takes what the annotations say of the values.
func (c *Column) logical(e *format.SchemaElement) {
	if e.LogicalType.Value == nil && e.ConvertedType.Valid {
		c.converted(e)
		return
	}
	whole := c.physical == format.Int32 || c.physical == format.Int64
	switch t := e.LogicalType.Value.(type) {
	case *format.IntType:
		if whole && !t.IsSigned {
			c.kind = kindUint
		}
	case *format.DateType:
		if whole {
			c.kind = kindDate
		}
	case *format.TimeType:
		if whole {
			c.kind, c.scale = kindTime, digits(t.Unit)
		}
	case *format.TimestampType:
		if whole {
			c.kind, c.scale, c.zoned = kindTimestamp, digits(t.Unit), t.IsAdjustedToUTC
		}
	case *format.DecimalType:
		c.decimal(t.Scale)
	case *format.UUIDType:
		if c.width == 16 {
			c.kind = kindUUID
		}
	case *format.Float16Type:
		if c.width == 2 {
			c.kind = kindHalf
		}
	}
}

// converted takes an annotation of older files.
func (c *Column) converted(e *format.SchemaElement) {
	whole := c.physical == format.Int32 || c.physical == format.Int64
	switch t := e.ConvertedType.V; {
	case t == deprecated.Decimal:
		c.decimal(e.Scale.V)
	case t == deprecated.Interval:
		c.Why = "has intervals, which are no value; write them as numbers, or ignore it"
	case !whole:
	case t == deprecated.Date:
		c.kind = kindDate
	case t == deprecated.TimeMillis:
		c.kind, c.scale = kindTime, 3
	case t == deprecated.TimeMicros:
		c.kind, c.scale = kindTime, 6
	case t == deprecated.TimestampMillis:
		c.kind, c.scale, c.zoned = kindTimestamp, 3, true
	case t == deprecated.TimestampMicros:
		c.kind, c.scale, c.zoned = kindTimestamp, 6, true
	case t == deprecated.Uint8, t == deprecated.Uint16, t == deprecated.Uint32, t == deprecated.Uint64:
		c.kind = kindUint
	}
}

// decimal makes the values decimals with so many digits after the point.
func (c *Column) decimal(scale int32) {
	switch {
	case c.kind == kindBool || c.kind == kindFloat || c.physical == format.Int96:
	case scale < 0 || scale > mostDigits || c.width > mostDecimal:
		c.Why = fmt.Sprintf("has decimals of %d bytes with scale %d; write them as floating point numbers, or ignore it", c.width, scale)
	default:
		c.kind, c.scale = kindDecimal, int(scale)
	}
}

// Bounds of decimals: those of 256 bits have 76 digits.
const (
	mostDigits  = 76
	mostDecimal = 32
)

// digits returns how many digits of a second a unit has.
func digits(u format.TimeUnit) int {
	switch u.Value.(type) {
	case *format.MilliSeconds:
		return 3
	case *format.MicroSeconds:
		return 6
	}
	return 9
}
