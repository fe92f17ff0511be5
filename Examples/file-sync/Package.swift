// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "file-sync",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "file-sync", targets: ["file-sync"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(name: "martlet", path: "../.."),
    ],
    targets: [
        .executableTarget(
            name: "file-sync",
            dependencies: [
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Martlet", package: "martlet"),
                .product(name: "MartletFleet", package: "martlet"),
            ],
            path: "Sources"
        )
    ]
)
