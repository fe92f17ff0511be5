// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "tail-logs",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "tail-logs", targets: ["tail-logs"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(name: "martlet", path: "../.."),
    ],
    targets: [
        .executableTarget(
            name: "tail-logs",
            dependencies: [
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Martlet", package: "martlet"),
                .product(name: "MartletFleet", package: "martlet"),
            ],
            path: "Sources"
        )
    ]
)
