"""Search methods: InvertNAS and baselines, behind one ask/tell protocol."""
