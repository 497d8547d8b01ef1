package ops

import (
	"reflect"
	"unsafe"

	G "gorgonia.org/gorgonia"
)

// index is what a graph knows of its nodes by their hash and their number. Gorgonia keeps both maps to itself: it finds a new node's
// number by going through all nodes, once for each, and so a graph of twice the nodes takes four times as long to build.
type index struct {
	byHash map[uint32]*G.Node // nil for a hash that several nodes have
	byID   map[int64]int      // places in AllNodes
}

// indexOf returns the index of a graph. ok is false if this Gorgonia keeps it in another way: graphs are then built slowly.
func indexOf(g *G.ExprGraph) (x index, ok bool) {
	v := reflect.ValueOf(g).Elem()
	byHash, ok1 := field[map[uint32]*G.Node](v, "byHash")
	byID, ok2 := field[map[int64]int](v, "byID")
	return index{byHash, byID}, ok1 && ok2 && byHash != nil && byID != nil
}

// field returns the value of an unexported field, if it is there with that type.
func field[T any](v reflect.Value, name string) (value T, ok bool) {
	f := v.FieldByName(name)
	if !f.IsValid() || f.Type() != reflect.TypeFor[T]() {
		return value, false
	}
	return *(*T)(unsafe.Pointer(f.UnsafeAddr())), true
}

// taken reports whether a node of the graph has the hash.
func taken(g *G.ExprGraph, h uint32) bool {
	if x, ok := indexOf(g); ok {
		_, there := x.byHash[h]
		return there
	}
	for _, n := range g.AllNodes() {
		if n.Hashcode() == h {
			return true
		}
	}
	return false
}

// expect tells the graph where its newest leaves and its next node stand. Nodes are numbered in their order and never taken out.
func expect(g *G.ExprGraph) {
	x, ok := indexOf(g)
	if !ok {
		return
	}
	for i := len(g.AllNodes()); i >= 0; i-- {
		if _, known := x.byID[int64(i)]; known {
			return
		}
		x.byID[int64(i)] = i
	}
}
