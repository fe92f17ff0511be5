import MartletCommand

await MartletCommandLine.main()
