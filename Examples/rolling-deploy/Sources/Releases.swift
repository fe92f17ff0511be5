import Glibc
import MartletMacros

// How an application is kept on each host, below one folder:
//
//     releases/41  releases/42      a folder for each release
//     current  -> releases/42       what runs
//     previous -> releases/41       what ran before
//
// All state is there, so it does not matter who deploys, and from where. The functions run there, too: `@Remote` gives each
// an overload that takes a context, or a whole group, as `on:`.

/// The release that is the current one; `nil` if there is none.
@Remote func currentRelease(in root: String) -> String? {
    target(of: "\(root)/current").map { String($0.drop { $0 != "/" }.dropFirst()) }
}

/// Makes a release the current one.
@Remote func activate(_ release: String, in root: String) throws(LinkError) {
    if let old = target(of: "\(root)/current") { try point("\(root)/previous", to: old) }
    try point("\(root)/current", to: "releases/\(release)")
}

/// Makes current again what was so before a release, where that has become the current one.
@Remote func rollBack(from release: String, in root: String) throws(LinkError) {
    guard currentRelease(in: root) == release else { return }
    if let old = target(of: "\(root)/previous") {
        try point("\(root)/current", to: old)
    } else {
        unlink("\(root)/current")
    }
}

/// Arrives at the caller as itself, as it is `Codable` and named where it is thrown.
struct LinkError: Error, Codable, CustomStringConvertible {
    var path: String
    var code: CInt
    var description: String { "\(path): \(String(cString: strerror(code)))" }
}

/// Points a symbolic link somewhere, in one step: at no time is there none.
private func point(_ link: String, to target: String) throws(LinkError) {
    let new = "\(link).new"
    unlink(new)
    guard symlink(target, new) == 0, rename(new, link) == 0 else { throw LinkError(path: link, code: errno) }
}

private func target(of link: String) -> String? {
    var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = bytes.withUnsafeMutableBytes { readlink(link, $0.baseAddress!, $0.count) }
    return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
}
