"""Virtual machines: building their images, running them under libvirt, reaching them over SSH."""
