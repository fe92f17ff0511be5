// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "hello",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "hello", targets: ["hello"])],
    dependencies: [.package(name: "martlet", path: "../..")],
    targets: [
        .executableTarget(
            name: "hello",
            dependencies: [.product(name: "Martlet", package: "martlet")],
            path: "Sources"
        )
    ]
)
