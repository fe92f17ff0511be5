/// Runs a body for each of some items, and puts what comes of it at each one's place.
enum Outcomes {
    /// - Parameters:
    ///   - stopsAtFailure: one after the other only: what comes after a failure is not run.
    /// - Returns: as many as were run, in the order of the items.
    static func of<Item: Sendable, R: Sendable>(
        _ items: [Item],
        _ mode: ExecutionMode,
        stopsAtFailure: Bool,
        settings: @Sendable (Item) -> [Setting],
        _ body: @Sendable (Item) async throws -> R
    ) async -> [Result<R, any Error>] {
        let run: @Sendable (Item) async -> Result<R, any Error> = { item in
            // Those that were not begun when all was cancelled are not.
            guard !Task.isCancelled else { return .failure(CancellationError()) }
            do {
                return .success(try await withSettings(mode.settings + settings(item)) { try await body(item) })
            } catch {
                return .failure(error)
            }
        }
        return await withoutActuallyEscaping(run) { run in
            guard let limit = mode.limit else { return await serial(items, stopsAtFailure, run) }
            return await parallel(items, limit, run)
        }
    }

    private static func serial<Item: Sendable, R: Sendable>(
        _ items: [Item], _ stopsAtFailure: Bool, _ run: @Sendable (Item) async -> Result<R, any Error>
    ) async -> [Result<R, any Error>] {
        var results: [Result<R, any Error>] = []
        for item in items {
            let result = await run(item)
            results.append(result)
            if stopsAtFailure, case .failure = result { break }
        }
        return results
    }

    private static func parallel<Item: Sendable, R: Sendable>(
        _ items: [Item], _ limit: Int, _ run: @escaping @Sendable (Item) async -> Result<R, any Error>
    ) async -> [Result<R, any Error>] {
        var results = [Result<R, any Error>?](repeating: nil, count: items.count)
        await withTaskGroup(of: (Int, Result<R, any Error>).self) { group in
            var waiting = items.enumerated().makeIterator()
            func begin() {
                guard let (index, item) = waiting.next() else { return }
                group.addTask { (index, await run(item)) }
            }
            for _ in 0..<min(limit, items.count) { begin() }
            while let (index, result) = await group.next() {
                results[index] = result
                begin()
            }
        }
        return results.compactMap { $0 }
    }
}
