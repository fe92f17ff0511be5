// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "multi-hop",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "multi-hop", targets: ["multi-hop"])],
    dependencies: [.package(name: "martlet", path: "../..")],
    targets: [
        .executableTarget(
            name: "multi-hop",
            dependencies: [.product(name: "Martlet", package: "martlet")],
            path: "Sources"
        )
    ]
)
