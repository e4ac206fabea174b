"""python -m minifcn.train            train FCNs: on the embedded data set, or on your own pictures
python -m minifcn.predict          segment pictures
python -m minifcn.evaluate         score a network on a data set
python -m minifcn.pretrain         train the trunk of a network on classified pictures
python -m minifcn.import_labels    make a data set of pictures that another tool labelled
python -m minifcn.check_data       check a data set before training
python -m minifcn.inspect_weights  show what a weight file holds and what a network would take over
python -m minifcn.export           write a network for other tools: ONNX, PyTorch
python -m minifcn.check_gradients  check every gradient against finite differences
python -m minifcn.gpu_selftest     check the kernels on this machine's GPU
python -m minifcn.emulate          run a CUDA kernel of your own without a GPU, from a source checkout
python -m minifcn.table1           make the lab report, from a source checkout

each with --help; python -m minifcn.train begins without any option"""

if __name__ == "__main__":
    print(__doc__)
