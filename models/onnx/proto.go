package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// model is a ModelProto of ONNX's onnx.proto, as far as it is written. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
type model struct {
	graph    graph
	metadata [][2]string
}

// graph is a GraphProto. Tensors are its initializers.
type graph struct {
	name            string
	nodes           []node
	tensors         []namedTensor
	inputs, outputs []value
}

// node is a NodeProto.
type node struct {
	op, name string
	in, out  []string
	attrs    []attr
}

// attr is an AttributeProto. Its value is an int, a float32, a []int, a string, or a *graph.
type attr struct {
	name  string
	value any
}

// namedTensor is a TensorProto, of floats or of whole numbers.
type namedTensor struct {
	name   string
	shape  []int
	floats []float32
	ints   []int64
}

// value is a ValueInfoProto of a tensor. A dimension is a name or a size.
type value struct {
	name string
	elem elem
	dims []any
}

// elem is a TensorProto.DataType.
type elem int

const (
	floatElem  elem = 1
	intElem    elem = 7 // int64
	boolElem   elem = 9
	doubleElem elem = 11
)

// What a file says of itself. Opset 17 is the first one with LayerNormalization, and IR version 8 that of its release, ONNX 1.12 of June 2022:
// whatever reads a later opset reads this one too.
const (
	irVersion = 8
	opset     = 17
	producer  = "splice"
)

// Field numbers of onnx.proto.
const (
	modelIR, modelProducer, modelGraph, modelOpset, modelMetadata protowire.Number = 1, 2, 7, 8, 14
	opsetDomain, opsetVersion                                     protowire.Number = 1, 2
	entryKey, entryValue                                          protowire.Number = 1, 2
	graphNode, graphName, graphTensor, graphInput, graphOutput    protowire.Number = 1, 2, 5, 11, 12
	nodeIn, nodeOut, nodeName, nodeOp, nodeAttr                   protowire.Number = 1, 2, 3, 4, 5
	attrName, attrFloat, attrInt, attrString, attrGraph, attrInts protowire.Number = 1, 2, 3, 4, 6, 8
	attrType                                                      protowire.Number = 20
	tensorDims, tensorType, tensorName, tensorRaw                 protowire.Number = 1, 2, 8, 9
	valueName, valueType, typeTensor, typeElem, typeShape         protowire.Number = 1, 2, 1, 1, 2
	shapeDim, dimSize, dimName                                    protowire.Number = 1, 1, 2
)

// Values of AttributeProto.AttributeType.
const (
	typeFloat, typeInt, typeString, typeGraph, typeInts = 1, 2, 3, 5, 7
)

// mostBytes is what a protobuf message can have.
const mostBytes = math.MaxInt32

// ErrSize says that a model does not fit into a file.
var ErrSize = errors.New("onnx: an ONNX file holds at most 2 GiB")

func appendText(b []byte, n protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
}

func appendInt(b []byte, n protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), uint64(v))
}

func appendMessage(b []byte, n protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), m)
}

// write writes the file, of at most so many bytes. The values of tensors are written as they lie in memory, piece by piece.
func (m *model) write(w io.Writer, most int) error {
	head := appendText(appendInt(nil, modelIR, irVersion), modelProducer, producer)
	set := appendInt(appendText(nil, opsetDomain, ""), opsetVersion, opset)
	head = appendMessage(head, modelOpset, set)
	for _, e := range m.metadata {
		head = appendMessage(head, modelMetadata, appendText(appendText(nil, entryKey, e[0]), entryValue, e[1]))
	}
	body, err := m.graph.head()
	if err != nil {
		return err
	}
	size := len(body)
	for i := range m.graph.tensors {
		size += m.graph.tensors[i].size()
	}
	if size+len(head) > most-64 {
		return fmt.Errorf("%w, and this model takes %.2f", ErrSize, float64(size)/(1<<30))
	}
	head = protowire.AppendVarint(protowire.AppendTag(head, modelGraph, protowire.BytesType), uint64(size))
	for _, part := range [][]byte{head, body} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	for i := range m.graph.tensors {
		if err := m.graph.tensors[i].write(w); err != nil {
			return err
		}
	}
	return nil
}

// head is the message without its tensors.
func (g *graph) head() ([]byte, error) {
	b := appendText(nil, graphName, g.name)
	for _, n := range g.nodes {
		m, err := n.message()
		if err != nil {
			return nil, err
		}
		b = appendMessage(b, graphNode, m)
	}
	for _, v := range g.inputs {
		b = appendMessage(b, graphInput, v.message())
	}
	for _, v := range g.outputs {
		b = appendMessage(b, graphOutput, v.message())
	}
	return b, nil
}

func (n *node) message() (b []byte, err error) {
	for _, s := range n.in {
		b = appendText(b, nodeIn, s)
	}
	for _, s := range n.out {
		b = appendText(b, nodeOut, s)
	}
	b = appendText(appendText(b, nodeName, n.name), nodeOp, n.op)
	for _, a := range n.attrs {
		m, err := a.message()
		if err != nil {
			return nil, err
		}
		b = appendMessage(b, nodeAttr, m)
	}
	return b, nil
}

func (a *attr) message() ([]byte, error) {
	b := appendText(nil, attrName, a.name)
	switch v := a.value.(type) {
	case int:
		return appendInt(appendInt(b, attrInt, int64(v)), attrType, typeInt), nil
	case float32:
		b = protowire.AppendFixed32(protowire.AppendTag(b, attrFloat, protowire.Fixed32Type), math.Float32bits(v))
		return appendInt(b, attrType, typeFloat), nil
	case string:
		return appendInt(appendText(b, attrString, v), attrType, typeString), nil
	case []int:
		for _, i := range v {
			b = appendInt(b, attrInts, int64(i))
		}
		return appendInt(b, attrType, typeInts), nil
	case *graph:
		m, err := v.head()
		return appendInt(appendMessage(b, attrGraph, m), attrType, typeGraph), err
	}
	return nil, fmt.Errorf("onnx: attribute %s is a %T", a.name, a.value)
}

func (v *value) message() []byte {
	var shape []byte
	for _, d := range v.dims {
		var dim []byte
		switch d := d.(type) {
		case string:
			dim = appendText(nil, dimName, d)
		case int:
			dim = appendInt(nil, dimSize, int64(d))
		}
		shape = appendMessage(shape, shapeDim, dim)
	}
	t := appendInt(nil, typeElem, int64(v.elem))
	if v.dims != nil {
		t = appendMessage(t, typeShape, shape)
	}
	return appendMessage(appendText(nil, valueName, v.name), valueType, appendMessage(nil, typeTensor, t))
}

// bytes is the size of the values.
func (t *namedTensor) bytes() int { return 4*len(t.floats) + 8*len(t.ints) }

// head is the field of the tensor in its graph up to its values.
func (t *namedTensor) head() []byte {
	var b []byte
	for _, d := range t.shape {
		b = appendInt(b, tensorDims, int64(d))
	}
	kind := floatElem
	if t.floats == nil {
		kind = intElem
	}
	b = appendText(appendInt(b, tensorType, int64(kind)), tensorName, t.name)
	b = protowire.AppendVarint(protowire.AppendTag(b, tensorRaw, protowire.BytesType), uint64(t.bytes()))
	head := protowire.AppendTag(nil, graphTensor, protowire.BytesType)
	return append(protowire.AppendVarint(head, uint64(len(b)+t.bytes())), b...)
}

func (t *namedTensor) size() int { return len(t.head()) + t.bytes() }

func (t *namedTensor) write(w io.Writer) error {
	b := t.head()
	for _, v := range t.ints {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	for _, v := range t.floats {
		if b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v)); len(b) >= 1<<16 {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	_, err := w.Write(b)
	return err
}
