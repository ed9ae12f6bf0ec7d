from dgemma_lsp.server import main

main()
