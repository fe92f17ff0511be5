import Foundation
public import MartletMacros

struct DiskError: Error, Codable, Equatable {
    var path: String
}

struct PlainError: Error {}

/// The kernels in a folder.
@Remote func kernels(in folder: String = "/boot", _ limit: Int, newest: Bool = true) throws -> [String] {
    if folder == "/none" { throw PlainError() }
    return [folder, "\(limit)", "\(newest)", "\(getpid())"]
}

@Remote func processNumber() -> Int32 { getpid() }

@Remote func waits() async throws { try await Task.sleep(for: .seconds(3600)) }

@Remote func fails(for path: String) throws(DiskError) -> Int { throw DiskError(path: path) }

@Remote @discardableResult func place(_ context: RemoteContext, of thing: String) -> String {
    "\(thing) \(context.contextID)"
}

/// Calls what runs below it.
@Remote func nested(in context: RemoteContext, depth: Int) async throws -> [Int32] {
    guard depth > 0 else { return [processNumber()] }
    let below = try await context.connect(.local)
    let rest = try await nested(on: below, depth: depth - 1)
    await below.close()
    return [processNumber()] + rest
}

// Of one name, and with names that could hide something.
@Remote func shift(_ number: Int) -> Int { number + 1 }
@Remote(overload: 2) func shift(_ text: String) -> String { text + "!" }
@Remote(overload: 3) func shift(by shift: Int, deadline: Int, context: Int, `default`: Int) -> Int {
    shift + deadline + context + `default`
}
@Remote func run(in: String, _: Int) -> String { "ran \(`in`)" }
@Remote func takes(_ bytes: consuming [UInt8]?, with table: [String: Set<Int>]) async -> Int {
    (bytes?.count ?? 0) + table.count
}

@MainActor var mainCount = 0

@MainActor @Remote func countOnMain() -> Int {
    mainCount += 1
    return mainCount
}

enum Tools {
    struct Version: Codable, Sendable, Equatable { var major: Int }
    final class Package {}
}

extension Tools.Package {
    @Remote static func run(_ name: String) -> String { "package \(name)" }
    @Remote class func version(of name: String) throws -> Tools.Version { .init(major: name.utf8.count) }
}

/// For other modules.
public struct Library {
    /// What others see.
    @available(macOS 15, *)
    @Remote public static func sum(_ numbers: [Int] = [1, 2]) async -> Int { numbers.reduce(0, +) }
}

public extension Library {
    @Remote static func twice(_ number: Int) -> Int { 2 * number }
}
