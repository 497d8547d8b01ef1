package kernel

// hold is out = in by way of the tile registers, where they wait for n turns.
func hold(in, out []uint16, n int) { holdTiles(&tileConfig[0], &in[0], &out[0], n) }
