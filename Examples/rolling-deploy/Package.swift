// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "rolling-deploy",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "rolling-deploy", targets: ["rolling-deploy"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(name: "martlet", path: "../.."),
    ],
    targets: [
        .executableTarget(
            name: "rolling-deploy",
            dependencies: [
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Martlet", package: "martlet"),
                .product(name: "MartletFleet", package: "martlet"),
                .product(name: "MartletMacros", package: "martlet"),
            ],
            path: "Sources"
        )
    ]
)
