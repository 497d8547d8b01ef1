package models

// Layered is a model whose parameters lie in layers, one above the other. Learning rates that fall towards the inputs need it.
type Layered interface {
	// Layer returns the layer of a parameter and the number of layers. Embeddings are layer 0, the first layer above them is
	// layer 1, and so on up to the head, which is layer number layers.
	Layer(name string) (layer, layers int)
}
