"""Lost packets: network namespaces, and the rules of the kernel's packet filter in them."""
