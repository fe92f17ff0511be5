// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "fleet-report",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "fleet-report", targets: ["fleet-report"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(name: "martlet", path: "../.."),
    ],
    targets: [
        .executableTarget(
            name: "fleet-report",
            dependencies: [
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Martlet", package: "martlet"),
                .product(name: "MartletFleet", package: "martlet"),
            ],
            path: "Sources"
        )
    ]
)
