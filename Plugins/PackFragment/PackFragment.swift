import Foundation
import PackagePlugin

/// Hands what is compiled together with fragments to the compiler's caller as a Swift source.
@main struct PackFragment: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let sources = context.package.directoryURL.appending(path: "Sources")
        let files = try ["MartletWire/CBOR", "MartletFragment/FarSide"].flatMap { folder in
            try FileManager.default.contentsOfDirectory(
                at: sources.appending(path: folder), includingPropertiesForKeys: nil
            ).filter { $0.pathExtension == "swift" }.sorted { $0.path < $1.path }
        }
        let packed = context.pluginWorkDirectoryURL.appending(path: "FarSideSources.swift")
        return [
            .buildCommand(
                displayName: "Packing what is compiled with fragments",
                executable: try context.tool(named: "pack-fragment").url,
                arguments: [packed.path] + files.map(\.path), inputFiles: files, outputFiles: [packed])
        ]
    }
}
