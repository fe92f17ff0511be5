import MartletCommand

MartletCommandLine.main()
