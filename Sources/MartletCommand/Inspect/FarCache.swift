import Martlet

/// The directory where a far machine keeps images, seen and removed by a few lines of shell.
struct FarCache: Sendable {
    var path: String
    var fileCount: Int
    var byteCount: Int
    /// What lies there and is not known to be ours: it stays.
    var foreignCount: Int

    /// Tells where the cache is and what is in it; with `_remove` set, that goes. Only what has a name that the bootstrap
    /// gives and belongs to us, in a directory of our own that is no link: whatever else somebody put there is theirs.
    /// What another connect is writing at this moment (`.martlet-*`, younger than a day) stays too.
    private static let script = """
        _c=${XDG_CACHE_HOME:-$HOME/.cache}/martlet
        [ -d "$_c" ] && [ ! -L "$_c" ] || { echo "0 0 0 $_c"; exit 0; }
        [ -O "$_c" ] || { echo "it belongs to somebody else: $_c" >&2; exit 1; }
        _n=0 _b=0 _o=0
        for _f in "$_c"/* "$_c"/.martlet-*; do
            [ -e "$_f" ] || continue
            _x=${_f##*/} _ours=1
            case $_x in
            .martlet-*) [ "$(find "$_f" -prune -mtime +0)" ] || continue ;;
            lib-* | fragments) ;;
            *) case ${_x%%-*} in *[!0-9a-f]* | "") _ours= ;; esac ;;
            esac
            [ -O "$_f" ] && [ ! -L "$_f" ] || _ours=
            [ "$_ours" ] || { _o=$((_o + 1)); continue; }
            set -- $(find "$_f" -type f -exec sh -c 'wc -c <"$1"' sh {} \\; |
                { _i=0 _j=0; while read -r _s; do _i=$((_i + 1)) _j=$((_j + _s)); done; echo $_i $_j; })
            if [ "$_remove" ]; then rm -rf "$_f" || exit 1; fi
            _n=$((_n + $1)) _b=$((_b + $2))
        done
        if [ "$_remove" ] && [ $_o = 0 ]; then rmdir "$_c" 2>&1 || :; fi
        echo "$_n $_b $_o $_c"
        """

    /// - Throws: ``MartletError`` of the command, or `taskFailed` with what the far shell said.
    static func look(in context: Context, removing: Bool) async throws -> FarCache {
        var options = CommandOptions()
        options.timeout = .seconds(30)
        options.environment = ["_remove": removing ? "1" : nil]
        let result = try await context.run(script, options: options)
        let words =
            result.lines.last.map { $0.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false) } ?? []
        guard result.succeeded, words.count == 4, let files = Int(words[0]), let bytes = Int(words[1]),
            let foreign = Int(words[2])
        else {
            throw MartletError(
                .taskFailed,
                "the cache could not be \(removing ? "removed" : "looked at"): \(result.termination)",
                route: context.route,
                detail: result.errorText
            )
        }
        return FarCache(path: String(words[3]), fileCount: files, byteCount: bytes, foreignCount: foreign)
    }
}
