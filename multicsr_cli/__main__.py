from multicsr_cli.main import main

main()
