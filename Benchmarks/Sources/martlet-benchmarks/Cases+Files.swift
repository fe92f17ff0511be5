import Martlet

extension Cases {
    /// One large file: bytes a second, the first time not counted.
    static func put(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let (context, folder) = (try await open(martlet, options), options.folder)
        let size = try await size(of: "\(folder)/near/large", context)
        try await context.put(bytes: [1], to: "\(folder)/first")
        let duration = try await ContinuousClock().measure {
            try await context.put("\(folder)/near/large", to: "\(folder)/ours")
        }
        return ["rate": Double(size) / duration.inSeconds / 1e6]
    }

    /// The same in the other direction.
    static func get(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let (context, folder) = (try await open(martlet, options), options.folder)
        let size = try await size(of: "\(folder)/near/large", context)
        let duration = try await ContinuousClock().measure {
            try await context.get("\(folder)/near/large", to: "\(folder)/ours")
        }
        return ["rate": Double(size) / duration.inSeconds / 1e6]
    }

    /// Ten thousand small files: the first copy, and the look that finds nothing to do.
    static func tree(_ martlet: Controller, _ options: Options) async throws -> Sample {
        let (context, folder) = (try await open(martlet, options), options.folder)
        _ = try await context.status(folder)
        let first = try await ContinuousClock().measure {
            let outcome = try await context.sync("\(folder)/near/tree", to: "\(folder)/ours")
            guard outcome.succeeded, outcome.fileCount > 0 else { throw BenchmarkError("it was not copied") }
        }
        let again = try await ContinuousClock().measure {
            let outcome = try await context.sync("\(folder)/near/tree", to: "\(folder)/ours")
            guard outcome.succeeded, outcome.fileCount == 0 else { throw BenchmarkError("it was copied again") }
        }
        return ["seconds": first.inSeconds, "again": again.inSeconds]
    }

    private static func size(of path: String, _ context: Context) async throws -> Int {
        guard let status = try await context.status(path) else { throw BenchmarkError("no \(path)") }
        return status.byteCount
    }
}
